"""Ways to run one action: they return an outcome and write no row."""
