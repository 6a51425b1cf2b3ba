from hypothesis import settings

# No test asserts how long something takes; what hangs is ended by the limit of time that every test has.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
