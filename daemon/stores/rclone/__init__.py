"""A store at any service that rclone knows, by its own program and its own configuration.

process   one run of the program, bounded and translated      store     the engine
"""
