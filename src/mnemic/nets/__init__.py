"""Small shared networks that several systems train: plain torch modules, nothing of mnemic in them.

inverted_residual.py   the block of mobile networks, and a network made of them
efficientnet.py        EfficientNet-Lite0, with its ImageNet weights
mobilenet.py           MobileNetV3-style networks of any width
"""
