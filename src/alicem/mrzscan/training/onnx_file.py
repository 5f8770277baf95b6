"""A chain of convolutions as an ONNX file, with where it comes from."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper

from alicem.mrzscan.training.layers import Chain

OPSET, IR = 17, 8  # as old as still says everything: any onnxruntime of the last years reads it


def onnx_file(layers: Chain, name: str, seed: int, batches: int) -> bytes:
    nodes, weights, previous, channels = [], [], "picture", 1
    for place, layer in enumerate(layers):
        shape, out = layer.shape, f"out{place}"
        kernel = layer.weights.reshape(*shape.kernel, channels, shape.channels).transpose(3, 2, 0, 1)
        weights += [
            numpy_helper.from_array(np.ascontiguousarray(kernel), f"weights{place}"),
            numpy_helper.from_array(layer.bias, f"bias{place}"),
        ]
        down, right = shape.padding
        nodes.append(
            helper.make_node(
                "Conv",
                [previous, f"weights{place}", f"bias{place}"],
                [out],
                kernel_shape=shape.kernel,
                strides=shape.stride,
                dilations=(shape.dilation, shape.dilation),
                pads=(down, right, down, right),
            )
        )
        if place < len(layers) - 1:
            nodes.append(helper.make_node("Relu", [out], [f"kept{place}"]))
        previous, channels = f"kept{place}", shape.channels
    picture = helper.make_tensor_value_info("picture", TensorProto.FLOAT, ["n", 1, "rows", "columns"])
    scores = helper.make_tensor_value_info(f"out{len(layers) - 1}", TensorProto.FLOAT, ["n", channels, "down", "right"])
    graph = helper.make_graph(nodes, name, [picture], [scores], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)
    model.producer_name = "alicem.mrzscan.training"
    model.doc_string = f"seed {seed}, {batches} batches; samples drawn with OCRB.otf (public domain); EUPL-1.2"
    checker.check_model(model)
    data: bytes = model.SerializeToString()
    return data
