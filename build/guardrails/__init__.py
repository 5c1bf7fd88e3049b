"""The texts that the attack classifier learns from and is measured on, and how it is trained."""
