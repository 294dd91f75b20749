"""What came out: the solution as a function, its errors, its fields, and the verdict on it."""
