"""timm's networks at the size of small images."""

from torch import nn

from trainer.errors import ConfigError
from trainer.libraries import import_timm
from trainer.settings import ConvNext, Vit

HEAD_DIM = 64  # features of one attention head


def build_convnext(settings: ConvNext, *, image_size: int, channels: int, num_classes: int) -> nn.Module:
    """Build a ConvNeXt whose stem looks at `patch` pixels a side instead of 4.

    Raises:
        ConfigError: If the image is too small for the stem and three halvings.
    """
    smallest = 32 if settings.patch == 2 else settings.patch * 8  # timm halves once more after a stem of 2
    if image_size < smallest:
        raise ConfigError(
            f"A ConvNeXt with `model.patch` {settings.patch} needs images of at least {smallest} pixels, "
            f"these have {image_size}. Set `data.image_size` to {smallest} or more, or take a smaller patch."
        )
    model: nn.Module = import_timm().create_model(
        f"convnext_{settings.size}", patch_size=settings.patch, in_chans=channels, num_classes=num_classes
    )
    return model


def build_vit(settings: Vit, *, image_size: int, channels: int, num_classes: int) -> nn.Module:
    """Build a vision transformer that averages its patches instead of carrying a class token.

    Raises:
        ConfigError: If the patch does not divide the image, or the heads the features.
    """
    if image_size % settings.patch:
        raise ConfigError(f"`model.patch` {settings.patch} does not divide the image size {image_size}.")
    heads = max(1, settings.dim // HEAD_DIM)
    if settings.dim % heads:
        raise ConfigError(f"`model.dim` {settings.dim} does not divide into {heads} heads.")
    model: nn.Module = import_timm().models.vision_transformer.VisionTransformer(
        img_size=image_size,
        patch_size=settings.patch,
        in_chans=channels,
        num_classes=num_classes,
        embed_dim=settings.dim,
        depth=settings.depth,
        num_heads=heads,
        drop_path_rate=settings.drop_path,
        class_token=False,
        global_pool="avg",
    )
    return model
