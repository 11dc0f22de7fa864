"""What mmmc costs, measured: `python -m benchmarks` lists what there is."""
