"""What every room uses: arrays, files, sizes, threads and checks of arguments."""
