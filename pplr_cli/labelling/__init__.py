"""The label stage: nearest neighbours, Jaccard distance, clusters, cross agreement."""
