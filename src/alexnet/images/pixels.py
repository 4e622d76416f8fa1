"""The pixel conventions of published networks: channel order, mean and scale. No torch here."""

from typing import Literal

PixelKind = Literal["rgb", "bgr", "caffe"]
"""``rgb``: normalised as here. ``bgr``: the same, channels reversed. ``caffe``: BGR from 0 to 255, less the mean."""

# The mean and standard deviation of ImageNet's RGB pixels, in [0, 1], as most published networks use them.
# Departure: the paper (section 2) subtracts the mean image of the training set and does not divide.
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
# What each channel counts in luminance (ITU-R 601).
LUMINANCE = (0.299, 0.587, 0.114)
# The mean that Caffe's networks subtract, for pixels from 0 to 255; here in the order RGB.
CAFFE_MEAN = (123.0, 117.0, 104.0)
