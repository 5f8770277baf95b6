"""The seven steps: a session in one worker, its biometrics in one child process that ends after the fifth."""
