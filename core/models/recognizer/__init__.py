"""The judges of generated clips: what is seen, read from the pixels.

Of the menagerie, who does what, where and how fast: a small classifier of our own, trained on
rendered clips of every pair of actor and action, the ones that no generator has seen included. Of
vistas, place, season, weather, time of day and hour of a picture, or of each frame of a clip; the
same network, without what several frames must show. Training blurs, shifts and discolours what it
teaches with, so that they judge what is in a frame and not how cleanly the frame is drawn.
"""
