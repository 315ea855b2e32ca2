"""Pipelines of diffusers small enough for a test: random weights, a tokenizer of a few words."""

from pathlib import Path
from typing import Any

import torch

WORDS = "<pad> </s> <unk> a lion cat drinking dancing".split()  # noqa: SIM905


def tokenizer(length: int) -> Any:
    from tokenizers import (  # pyright: ignore[reportMissingImports]
        Tokenizer,
        models,
        pre_tokenizers,
        processors,
    )
    from transformers import PreTrainedTokenizerFast  # pyright: ignore[reportMissingImports]

    made = Tokenizer(models.WordLevel({w: n for n, w in enumerate(WORDS)}, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token="<pad>", eos_token="</s>", unk_token="<unk>",
        model_max_length=length,
    )  # fmt: skip


def encoder(kind: str) -> Any:
    import transformers  # pyright: ignore[reportMissingImports]

    config = getattr(transformers, f"{kind}Config")(
        vocab_size=len(WORDS), d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2
    )
    return getattr(transformers, f"{kind}EncoderModel")(config)


def cogvideox(rotary: bool = False) -> Any:
    import diffusers as d  # pyright: ignore[reportMissingImports]

    transformer = d.CogVideoXTransformer3DModel(
        num_attention_heads=2, attention_head_dim=16, in_channels=4, out_channels=4,
        time_embed_dim=2, text_embed_dim=16, num_layers=1, sample_width=6, sample_height=4,
        sample_frames=17, max_text_seq_length=8, use_rotary_positional_embeddings=rotary,
    )  # fmt: skip
    vae = d.AutoencoderKLCogVideoX(
        latent_channels=4, block_out_channels=(4, 4, 4), layers_per_block=1, norm_num_groups=2,
        down_block_types=("CogVideoXDownBlock3D",) * 3, up_block_types=("CogVideoXUpBlock3D",) * 3,
    )  # fmt: skip
    scheduler = d.CogVideoXDPMScheduler()  # draws noise at each step
    return d.CogVideoXPipeline(tokenizer(8), encoder("T5"), vae, transformer, scheduler)


def wan() -> Any:
    import diffusers as d  # pyright: ignore[reportMissingImports]

    def transformer() -> Any:
        return d.WanTransformer3DModel(
            num_attention_heads=2, attention_head_dim=12, in_channels=4, out_channels=4,
            text_dim=16, freq_dim=32, ffn_dim=32, num_layers=1, rope_max_seq_len=32,
        )  # fmt: skip

    vae = d.AutoencoderKLWan(
        base_dim=4, z_dim=4, dim_mult=[1, 1, 1], num_res_blocks=1,
        temperal_downsample=[True, True], latents_mean=[0.1, 0.2, -0.1, 0.0],
        latents_std=[1.5, 1.0, 0.8, 1.2], scale_factor_spatial=4,
    )  # fmt: skip
    scheduler = d.UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True)
    return d.WanPipeline(
        tokenizer(512), encoder("UMT5"), vae, scheduler, transformer(), transformer(),
        boundary_ratio=0.8,
    )  # fmt: skip


def ti2v() -> Any:
    """As Wan 2.2's smaller one: every place has a time of its own, pixels are in patches."""
    import diffusers as d  # pyright: ignore[reportMissingImports]

    made = wan()
    vae = d.AutoencoderKLWan(
        base_dim=4, decoder_base_dim=8, z_dim=4, dim_mult=[1, 2, 2], num_res_blocks=1,
        temperal_downsample=[True, True], latents_mean=[0.0] * 4, latents_std=[1.0] * 4,
        is_residual=True, in_channels=12, out_channels=12, patch_size=2, scale_factor_spatial=8,
    )  # fmt: skip
    return d.WanPipeline(made.tokenizer, made.text_encoder, vae, made.scheduler, made.transformer,
                         expand_timesteps=True)  # fmt: skip


def ltx() -> Any:
    import diffusers as d  # pyright: ignore[reportMissingImports]

    transformer = d.LTXVideoTransformer3DModel(
        in_channels=4, out_channels=4, num_attention_heads=2, attention_head_dim=12,
        cross_attention_dim=24, num_layers=1, caption_channels=16,
    )  # fmt: skip
    two, five = (True, True), (1, 1, 1)
    vae = d.AutoencoderKLLTXVideo(
        latent_channels=4, block_out_channels=(4, 4), decoder_block_out_channels=(4, 4),
        down_block_types=("LTXVideoDownBlock3D",) * 2, layers_per_block=five,
        decoder_layers_per_block=five, spatio_temporal_scaling=two,
        decoder_spatio_temporal_scaling=two, decoder_inject_noise=(False,) * 3,
        upsample_residual=(False,) * 2, upsample_factor=(1, 1), patch_size=4,
        timestep_conditioning=True,
    )  # fmt: skip
    scheduler = d.FlowMatchEulerDiscreteScheduler()
    return d.LTXPipeline(scheduler, vae, encoder("T5"), tokenizer(128), transformer)


KINDS = {
    "cogvideox": cogvideox,
    "rotary": lambda: cogvideox(rotary=True),
    "wan": wan,
    "ti2v": ti2v,
    "ltx": ltx,
}
# Sizes that a test can wait for: frames, (height, width).
SIZES = {
    "cogvideox": (17, (16, 24)),
    "rotary": (9, (24, 16)),
    "wan": (9, (16, 32)),
    "ti2v": (9, (16, 32)),
    "ltx": (9, (32, 64)),
}


def folder_of(kind: str, place: Path) -> Path:
    """A pipeline with the same random weights each time."""
    torch.manual_seed(0)
    KINDS[kind]().save_pretrained(place)
    return place
