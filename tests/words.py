#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""words.py ROOT [PART...]: list words to avoid in texts for users, as "file:line: word: text".

Texts for users are the strings with a space in the C sources of core, pipeline, tools and datasets
(messages, help, metric texts), the README files outside core and pipeline, and the manual pages.
PART: only files whose path contains one of the parts. Exits 1 if a word is found.
"""
import pathlib
import re
import subprocess
import sys

# Pattern, and advice.
WORDS = [
    (r"likewise", "say the sentence again"),
    (r"as ever", "as before, or as usual"),
    (r"of (its|their|his|your|our) own", "separate, dedicated"),
    (r"so (many|often|long ago|far behind)", "name the number: N, SECONDS"),
    (r"told", "reported"),
    (r"(goes|go|going|went) on", "continues, keeps"),
    (r"(?<!there )(?<!There )(?:is|are|was) no (?!longer|more)[a-z]", "is not a"),
    (r"(comes?|came) again", "repeats"),
    (r"(?<!fall )(?<!falls )(?<!fell )(?<!falling )(?<!far )behind(?! NAT)", "after"),
    (r"torn", "truncated, incomplete"),
    (r"(whole (record|file|packet|frame)s?|(is|are) whole)", "complete, intact"),
    (r"cuts?(?! off)", "truncate, truncated"),
    (r"[Ww]hat (comes|came|fails|failed|is|was|are|were|can|has|it|the|a|no)(?![^.;:]*\?)",
     "begin with the thing itself"),
    (r"(?<![Kk]ernel )(?<![Ff]ile )(?<![-/_{])rings?(?![-_:}])", "kernel ring, file ring"),
    (r"(?<![-/])devices?(?! file)", "interface"),
]
WORDS = [(re.compile(rf"(?<![\w`'\"{{]){pattern}(?![\w`])"), advice) for pattern, advice in WORDS]

# Exceptions: names that users type or parse, and terms of other programs.
NAMES = re.compile(
    r"capweir devices|bench ring|\bdevices \[|--[a-z-]+|`[^`]*`|\"[a-z_]+\"|\bring_[a-z]+"
    r"|block device|character device|No such device|\\fB.*?\\fR|^\.[A-Z]+.*(?:capweir|bench).*")

STRING = re.compile(r'"((?:[^"\\\n]|\\.)*)"')


def files(root):
    names = subprocess.run(["git", "ls-files"], cwd=root, capture_output=True, text=True,
                           check=True).stdout.split()
    for name in names:
        if re.match(r"(core|pipeline|tools|datasets)/.*\.[ch]$", name):
            yield name, c_texts
        elif re.match(r"(README|CONTRIBUTING|SECURITY|CHANGELOG|bench/README)\.md$", name) or \
                re.match(r"tools/manual/.*\.(md|in)$", name):
            yield name, page_texts


def c_texts(lines):
    """(line number, text) of each string that a person may read; comments are skipped."""
    is_comment = False
    for number, line in enumerate(lines, 1):
        if is_comment:
            is_comment = "*/" not in line
            continue
        if line.lstrip().startswith("/*"):
            is_comment = "*/" not in line
            continue
        if line.lstrip().startswith(("#include", "#error", "static_assert", "//")):
            continue
        for found in STRING.finditer(line):
            if " " in found[1]:
                yield number, found[1]


def page_texts(lines):
    """(line number, text) of each line of prose; blocks of code are skipped."""
    is_code = False
    for number, line in enumerate(lines, 1):
        if line.startswith(("```", ".nf", ".fi")):
            is_code = line.startswith((".nf",)) or (line.startswith("```") and not is_code)
            continue
        if not is_code and not line.startswith(("    ", '.\\"')):
            yield number, line.rstrip("\n")


def main():
    root = pathlib.Path(sys.argv[1])
    parts = sys.argv[2:]
    count = 0
    for name, texts in files(root):
        if parts and not any(part in name for part in parts):
            continue
        for number, text in texts((root / name).read_text().splitlines()):
            plain = NAMES.sub(" ", text)
            for pattern, advice in WORDS:
                found = pattern.search(plain)
                if found:
                    count += 1
                    print(f"{name}:{number}: {found[0]} ({advice}): {text.strip()}")
    print(f"{count} words to avoid in texts for users")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
