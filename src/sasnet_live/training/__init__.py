"""Training of SAS-Net, on the simulator and on recordings without truth."""
