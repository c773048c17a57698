"""The clustering stage: neighbours, Jaccard distance, clusters, cross agreement."""
