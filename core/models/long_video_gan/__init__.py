"""LongVideoGAN: videos in which new things keep coming, small at first and then large."""
