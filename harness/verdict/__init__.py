"""What a test found: KTAP, splats, taint and counters, joined to one verdict."""
