"""Pictures of solutions, networks and estimates."""
