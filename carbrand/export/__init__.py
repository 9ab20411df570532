"""The model in the formats of other runtimes, each checked against Keras before it is kept."""
