"""Devices by the names that people and their drivers write, with what their makers state."""

import pytest

from dln.core.carbon.costs.energy import device, hardware, siblings
from dln.core.errors import UsageError


@pytest.mark.parametrize(
    ("name", "watts"),
    {
        # nvidia-smi
        "Tesla K80": 300, "Tesla P4": 75, "Tesla P100-PCIE-16GB": 250, "Tesla P100-PCIE-12GB": 250,
        "Tesla P100-SXM2-16GB": 300, "Tesla V100-SXM2-32GB": 300, "Tesla V100-PCIE-16GB": 250,
        "Tesla V100S-PCIE-32GB": 250, "Tesla T4": 70, "NVIDIA A10G": 300, "NVIDIA A10": 150,
        "NVIDIA A100-SXM4-40GB": 400, "NVIDIA A100-SXM4-80GB": 400, "NVIDIA A100-PCIE-40GB": 250,
        "NVIDIA A100 80GB PCIe": 300, "NVIDIA H100 80GB HBM3": 700, "NVIDIA H100 PCIe": 350,
        "NVIDIA H100 NVL": 400, "NVIDIA H200": 700, "NVIDIA H200 NVL": 600, "NVIDIA B200": 1000,
        "NVIDIA GH200 480GB": 1000, "NVIDIA GB200": 1200, "NVIDIA L4": 72, "NVIDIA L40": 300,
        "NVIDIA L40S": 350, "NVIDIA GeForce GTX 1080 Ti": 250, "NVIDIA GeForce RTX 2080": 215,
        "NVIDIA GeForce RTX 2080 Ti": 250, "NVIDIA GeForce RTX 3070": 220,
        "NVIDIA GeForce RTX 3080": 320, "NVIDIA GeForce RTX 3090": 350,
        "NVIDIA GeForce RTX 4060": 115, "NVIDIA GeForce RTX 4070": 200,
        "NVIDIA GeForce RTX 4090": 450, "NVIDIA GeForce RTX 5090": 575, "NVIDIA RTX A4000": 140,
        "NVIDIA RTX A5000": 230, "NVIDIA RTX A6000": 300, "Quadro RTX 8000": 295,
        "NVIDIA RTX 6000 Ada Generation": 300, "NVIDIA TITAN RTX": 280,
        # rocm-smi and amd-smi
        "AMD Instinct MI210": 300, "AMD INSTINCT MI250 (MCM) OAM AC MBA": 560,
        "AMD Instinct MI250X/MI250": 560, "AMD Instinct MI300X OAM": 750,
        "AMD Instinct MI325X": 1000, "AMD Radeon RX 7900 XTX": 355,
        # macOS
        "Apple M1": 39, "Apple M1 Ultra": 215, "Apple M2 Max": 145, "Apple M4": 65,
        "Apple M4 Pro": 140,
        # people
        "rtx2080ti": 250, "GTX-1080-TI": 250, "rtx_4090": 450, "a5000": 230, "h100-sxm": 700,
        "tpu v2": 280, "TPU-v3": 450, "TPU v4": 192, "TPU v5 lite": 140, "Trn1": 200,
    }.items(),
)  # fmt: skip
def test_names_as_they_are_printed(name: str, watts: float):
    assert device(name).watts == watts


def test_every_name_of_the_table_finds_its_row():
    for name, known in hardware().items():
        assert device(name) == device(known.name) == known
        assert device(f"NVIDIA {name.upper()}") == known


def test_what_is_assumed_is_said():
    for known in hardware().values():
        assert known.source
        assert ("assumed" in str(known)) == (known.source == "assumed")
        if known.source == "assumed":
            assert "states no power" in known.note


def test_a_familys_name_is_taken_for_one_of_it():
    assert (device("P100").name, device("P100").tflops) == ("P100-PCIE", 18.7)
    assert [other.name for other in siblings("P100")] == ["P100-SXM2"]
    assert {other.name for other in siblings("A100")} == {"A100-PCIE-40GB", "A100-PCIE-80GB"}
    for name in ("P100-SXM2", "NVIDIA H100 80GB HBM3", "L40", "RTX 4070", "Apple M1", "A10"):
        assert siblings(name) == []


def test_unknown_names():
    with pytest.raises(UsageError, match=r"no device 'TPU v5'\. Did you mean 'tpu-v5p' or 'tpu-v5"):
        device("TPU v5")
    with pytest.raises(UsageError, match="Did you mean 'rtx-3090'"):
        device("3090")
    with pytest.raises(UsageError, match="for the laptop's maker to set"):
        device("NVIDIA GeForce RTX 3080 Laptop GPU")
    for empty in ("", "NVIDIA", "80GB", "\0"):
        with pytest.raises(UsageError, match="no device"):
            device(empty)
