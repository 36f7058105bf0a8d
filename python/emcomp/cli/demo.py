"""``emcomp demo``."""
import click
@click.command()
def demo(): pass
