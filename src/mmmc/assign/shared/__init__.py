"""What several assigners are made of: pairs of object and point, claims, mixtures, rules."""
