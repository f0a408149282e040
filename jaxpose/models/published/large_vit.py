"""Today's large vision transformers."""

from jaxpose.models.published import large_vit_tables
from jaxpose.models.published.record import Family
from jaxpose.models.token_heads import AttentionPoolHead, FeatureHead

__all__ = ["LARGE_VIT", "AttentionPoolHead", "FeatureHead"]

LARGE_VIT = Family("large-vit", formats=large_vit_tables.FORMATS)
