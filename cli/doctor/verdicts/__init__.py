"""What the doctor makes of what it saw, one module for each area. Pure."""
