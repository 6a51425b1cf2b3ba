"""What this machine can do, found out by trying: one check per thing that a tier needs, and a verdict for each tier."""
