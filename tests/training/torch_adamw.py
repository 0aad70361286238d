"""Trainings with PyTorch's AdamW, and gradients for them."""

import numpy as np
import torch


def random_like(variables, seed, size=1.0):
    """Returns normal values in the shapes of variables."""
    generator = np.random.default_rng(seed)
    return [
        size * generator.standard_normal(tuple(v.shape)).astype("float32")
        for v in variables
    ]


def torch_train(values, gradients, rates, decays, scales=None, clip=5.0):
    """Returns what PyTorch makes of weights, a group for each.

    `gradients` has those of all weights for every step, `rates` the learning
    rate of the step; `decays` and `scales` have a number for each weight.
    """
    weights = [torch.nn.Parameter(torch.tensor(value)) for value in values]
    groups = [
        {"params": [weight], "weight_decay": decay}
        for weight, decay in zip(weights, decays, strict=True)
    ]
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.999), eps=1e-8)
    for step, rate in enumerate(rates):
        for index, group in enumerate(optimizer.param_groups):
            group["lr"] = rate * (scales[index] if scales else 1.0)
            weights[index].grad = torch.tensor(gradients[step][index])
        torch.nn.utils.clip_grad_norm_(weights, clip)
        optimizer.step()
    return [weight.detach().numpy() for weight in weights]
