"""A generator of small pictures against a discriminator: two players, one of them averaged."""
