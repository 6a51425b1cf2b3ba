"""`python -m glowplug` is `glowplug`."""

from glowplug.cli import main

if __name__ == "__main__":
    main(prog_name="glowplug")
