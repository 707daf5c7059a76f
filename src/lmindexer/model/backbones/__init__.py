"""The pretrained language model behind one face (Eq. 1): `Backbone`, and an adapter for each kind of model."""
