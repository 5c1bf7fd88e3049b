"""Everything that more than one Conch service uses, and what runs inside Triton."""
