"""llama.cpp's own server over a tiny model with random weights, made here: nothing is downloaded.

Prints the address it listens on, on this machine only, and serves until its standard input ends.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import xllamacpp
from gguf import GGUFWriter, TokenType

KEY = "the-key"
CONTEXT = 512


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tiny.gguf"
        write_model(path)
        params = xllamacpp.CommonParams()
        params.model.path = str(path)
        params.model_alias = {"tiny"}
        params.api_keys = [KEY]
        params.n_ctx = CONTEXT
        params.n_parallel = 1
        params.cpuparams.n_threads = 1
        params.use_jinja = True
        params.warmup = False
        params.embedding = True
        params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
        params.verbosity = -1
        server = xllamacpp.Server(params)
        print(f"listening on {server.listening_address}", file=sys.stderr, flush=True)
        sys.stdin.read()


def write_model(path: Path) -> None:
    """A llama of two layers; every byte is a token, and some words are."""
    rng = np.random.default_rng(7)
    width, layers, heads, inner = 64, 2, 4, 128
    marks = ["<unk>", "<s>", "</s>"]
    letters = [f"<0x{byte:02X}>" for byte in range(256)]
    words = ["\u2581the", "\u2581of", "\u2581and", "\u2581red", "\u2581green"]
    kinds = [TokenType.UNKNOWN, TokenType.CONTROL, TokenType.CONTROL]
    kinds += [TokenType.BYTE] * len(letters) + [TokenType.NORMAL] * len(words)
    tokens = marks + letters + words

    out = GGUFWriter(path, "llama")
    out.add_name("tiny")
    out.add_context_length(CONTEXT)
    out.add_embedding_length(width)
    out.add_block_count(layers)
    out.add_feed_forward_length(inner)
    out.add_head_count(heads)
    out.add_head_count_kv(heads)
    out.add_layer_norm_rms_eps(1e-5)
    out.add_rope_dimension_count(width // heads)
    out.add_vocab_size(len(tokens))
    out.add_tokenizer_model("llama")
    out.add_token_list(tokens)
    out.add_token_scores([0.0] * len(tokens))
    out.add_token_types(kinds)
    out.add_unk_token_id(0)
    out.add_bos_token_id(1)
    out.add_eos_token_id(2)
    # Answers follow the last turn at once: a frame would have to fit the grammar of a JSON answer.
    out.add_chat_template("{% for message in messages %}{{ message.content }}\n{% endfor %}")

    def random(name: str, *shape: int) -> None:
        out.add_tensor(f"{name}.weight", rng.normal(0, 0.05, shape).astype(np.float32))

    def ones(name: str) -> None:
        out.add_tensor(f"{name}.weight", np.ones(width, dtype=np.float32))

    random("token_embd", len(tokens), width)
    random("output", len(tokens), width)
    ones("output_norm")
    for layer in range(layers):
        block = f"blk.{layer}"
        ones(f"{block}.attn_norm")
        ones(f"{block}.ffn_norm")
        for part in ("attn_q", "attn_k", "attn_v", "attn_output"):
            random(f"{block}.{part}", width, width)
        random(f"{block}.ffn_gate", inner, width)
        random(f"{block}.ffn_up", inner, width)
        random(f"{block}.ffn_down", width, inner)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


main()
