"""Write a GGUF model in the form that vLLM, SGLang and transformers load: hugging_face_form.py FILE.gguf DIRECTORY

Runs in .engines/transformers. Weights become bfloat16; tokenizer and chat template come out of the file's metadata.
The directory appears when it is complete, or not at all.
"""

import shutil
import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig


def main(source: Path, directory: Path) -> None:
    folder, file = str(source.parent), source.name
    growing = directory.with_name(f"{directory.name}.part")
    shutil.rmtree(growing, ignore_errors=True)
    model = AutoModelForCausalLM.from_pretrained(
        folder, gguf_file=file, dtype=torch.bfloat16, quantization_config=GgufConfig(dequantize=True)
    )
    model.save_pretrained(growing)
    AutoTokenizer.from_pretrained(folder, gguf_file=file).save_pretrained(growing)
    shutil.rmtree(directory, ignore_errors=True)
    growing.rename(directory)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
