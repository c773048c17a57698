"""A synthetic world of pedestrians: data for the demo, for pretraining and for tests."""

from pplr_cli.synthetic.world import DEMO, PRETRAINING, World, make

__all__ = ["DEMO", "PRETRAINING", "World", "make"]
