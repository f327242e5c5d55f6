"""A cousin of the local model: the same weights, quantised more coarsely (Q4_1 -> Q4_0), as a file of its own.

    pip install gguf; python bench/cousin.py OUTPUT.gguf

It is the second local student of ``skillforge requalify`` and of the behaviour difference: a model that should behave
as its parent does, and whose difference must be seen before it is shipped.
"""

from __future__ import annotations

import sys
from pathlib import Path

from skillforge.providers.models_cache import resolve_model_file


def requantised(source: Path, target: Path) -> int:
    """Write ``source`` with every Q4_1 tensor as Q4_0, all else as it is; returns how many tensors changed."""
    import gguf
    from gguf.constants import GGMLQuantizationType, GGUFValueType
    from gguf.quants import dequantize, quantize

    reader = gguf.GGUFReader(source)
    architecture = reader.get_field("general.architecture").contents()
    writer = gguf.GGUFWriter(target, architecture)
    for name, field in reader.fields.items():
        if name.startswith("GGUF.") or name == "general.architecture":
            continue
        kind = field.types[0]
        inner = field.types[-1] if kind == GGUFValueType.ARRAY else None
        writer.add_key_value(name, field.contents(), kind, sub_type=inner)
    changed = 0
    for tensor in reader.tensors:
        data, kind = tensor.data, tensor.tensor_type
        if kind == GGMLQuantizationType.Q4_1:
            kind = GGMLQuantizationType.Q4_0
            data = quantize(dequantize(data, GGMLQuantizationType.Q4_1), kind)
            changed += 1
        writer.add_tensor(tensor.name, data, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return changed


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    output = Path(sys.argv[1])
    count = requantised(resolve_model_file("smollm2-135m"), output)
    print(f"{output}: {count} tensors as Q4_0, {output.stat().st_size:,} bytes")
