"""What a game needs of its files."""
