"""Many runs of one problem: accuracy against parameters, seed by seed, network against network."""
