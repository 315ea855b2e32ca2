"""StyleGAN-V (2112.14683): clips from noise, continuous in time and as long as one likes."""
