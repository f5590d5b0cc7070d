"""Level footprint: what training and inference cost, in peak bytes.

All systems are used in one way. A model goes in, a torch.nn.Module comes out that trains in any loop; it keeps
its small part apart from the backbone and says what a step takes:

    model = lst.Ladder(backbone, reduction=8)
    model.used(batch)                                    # weights, gradients, optimizer, saved for backward
    model.save("task.safetensors")                       # the small part alone
    model = lst.Ladder.load("task.safetensors", backbone)
    model = lst.Ladder.within("200 MB", backbone, batch)  # the largest that fits

_tuned.py    that one way: freezing, saving, loading, fitting into a budget
_file.py     the file of a small part
_stacks.py   where a model keeps its repeated layers
_trace.py    what a frozen stack computes, and putting something else in the place of its last state
_head.py     a head for models that come without one
"""
