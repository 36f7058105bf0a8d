"""Who goes over the rows: this process, an executor, a Dask cluster."""
