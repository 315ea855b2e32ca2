"""Published figures of Dodge et al. 2022."""

# kWh of the paper's experiments, with GPUs and hours (Dodge et al. 2022, table 2).
PAPER = {
    "BERT finetune": (4, 6.0, 3.1),
    "BERT pretrain": (8, 36.0, 37.3),
    "6B transformer, 8 of 60 days": (256, 192.0, 13_812.4),
    "6B transformer, all of it": (256, 1440.0, 103_593.0),
    "DenseNet-121": (1, 0.3, 0.02),
    "DenseNet-169": (1, 0.3, 0.03),
    "DenseNet-201": (1, 0.4, 0.04),
    "ViT tiny": (1, 19.0, 1.7),
    "ViT small": (1, 19.0, 2.2),
    "ViT base": (1, 21.0, 4.7),
    "ViT large": (4, 90.0, 93.3),
    "ViT huge": (4, 216.0, 237.6),
}
# Grams that BERT's finetuning emitted in the central US by its start, 0 to 21 o'clock in steps of
# three hours, on three days (Dodge et al. 2022, table 3).
PAPER_STARTS_G = (
    (2381, 2341, 2210, 2252, 2354, 2391, 2410, 2403),
    (2330, 2249, 2204, 2299, 2320, 2317, 2339, 2344),
    (2430, 2339, 2257, 2313, 2393, 2374, 2317, 2331),
)
PAPER_G_PER_KWH = (200.0, 755.0)  # marginal, the best and the worst of 16 regions, 2020


def later_start_percent() -> float:
    """By how much the first of the paper's days could be cut by starting a few hours later."""
    at_midnight, *_ = day = PAPER_STARTS_G[0]
    return 100 * (at_midnight / min(day) - 1)
