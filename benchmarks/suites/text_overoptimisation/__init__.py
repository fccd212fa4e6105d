"""True and learned reward of a policy that follows one small reward model, or an ensemble of eight."""
