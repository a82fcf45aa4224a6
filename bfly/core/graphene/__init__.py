"""Answers to clients of graphene: Neuroglancer, CloudVolume and CAVEclient."""
