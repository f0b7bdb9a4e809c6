"""What commands show and ask."""
