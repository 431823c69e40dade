#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""headers.py HEADER: the manual page of a public header, in Markdown, from the header's comments.

The first comment after the licence describes the header; its first sentence becomes the NAME line.
A comment in front of a declaration describes it; one after a member or constant describes that; one
without a declaration is free text. /* ---- title ---- */ begins a section. Each member needs a
comment.
"""
import pathlib
import re
import sys
import textwrap

COMMENT = r"/\*(?:[^*]|\*(?!/))*\*/"
MEMBER = re.compile(rf"(?P<before>{COMMENT})?\s*(?P<code>[^;,/]+?)[;,][ \t]*"
                    rf"(?P<after>{COMMENT})?\s*")
DEFINE = re.compile(rf"#define (?P<name>\w+) (?P<value>.*?)\s*(?P<after>{COMMENT})?$", re.M)
COLUMNS = 66  # of prototypes
CONSTANTS = "### Constants\n"


def inside(comment):
    """The text of a comment, without stars."""
    first, *lines = comment[2:-2].split("\n")
    lines = [re.sub(r"^\s*\* ?", "", line) for line in lines]
    return "\n".join([first.strip(), *lines]).strip("\n").rstrip()


def plain(text):
    """A paragraph as Markdown, in which only `words` are special."""
    parts = re.split("(`[^`]*`)", " ".join(text.split()))
    parts[::2] = [re.sub(r"([\\*_<>\[\]])", r"\\\1", part) for part in parts[::2]]
    return "".join(parts)


def paragraphs(text):
    """The text of a comment as Markdown; paragraphs that are indented are code."""
    return "\n\n".join(part if part.startswith("    ") else plain(part)
                       for part in text.split("\n\n"))


def sentence(comment):
    text = plain(inside(comment))
    return text[0].upper() + text[1:] + ("" if text.endswith(".") else ".")


def wrap(prototype):
    """A prototype as lines, which end after a comma."""
    joined = re.sub(r"(?<!,) ", "\xa0", prototype)
    return [line.replace("\xa0", " ")
            for line in textwrap.wrap(joined, COLUMNS, subsequent_indent="    ")]


def describe_type(name, body):
    """A struct or an enum: its members as a list of definitions."""
    lines = [f"### {name}\n"]
    for member in MEMBER.finditer(body.strip()):
        about = member["before"] or member["after"]
        if not about:
            sys.exit(f"{name}: no comment on {member['code']}")
        lines.append(f"`{' '.join(member['code'].split())}`\n: {sentence(about)}\n")
    return lines


def describe(comment, code):
    """A declaration and the comment in front of it, as lines of Markdown."""
    about = paragraphs(inside(comment)) + "\n" if comment else ""
    title = re.fullmatch(r"/\* -+ (.*) -+ \*/", comment or "")
    if title:
        return [f"## {title[1].upper()}\n"]
    if not code:
        return [about]
    if code.startswith("CW_API"):
        prototype = " ".join(code.split()).removeprefix("CW_API ")
        name = re.search(r"(\w+)\(", prototype)[1]
        return [f"### {name}\n", "```c", *wrap(prototype), "```\n", about]
    opened = re.match(r"((?:struct|enum) \w+) \{\n(.*)^\};", code, re.S | re.M)
    if opened:
        head, *members = describe_type(*opened.groups())
        return [head, about, *members]
    if code.startswith("#define"):
        constants = [f"`{found['name']}` = `{found['value']}`\n: "
                     f"{sentence(comment or found['after'])}\n"
                     for found in DEFINE.finditer(code) if comment or found["after"]]
        return [CONSTANTS, *constants] if constants else []
    return [f"### {code.split(';')[0]}\n", about] if comment else []


def declarations(text):
    """(comment or None, code) of each declaration of a header; conditional parts are left out."""
    text = re.sub(r"^#ifdef .*?^#endif\n", "", text, flags=re.S | re.M)
    text = re.sub(r"^(#ifndef|#include|#endif|CW_BEGIN_DECLS|CW_END_DECLS).*\n|^#define \w+\n", "",
                  text, flags=re.M)
    for block in re.split(r"\n{2,}", text.strip()):
        for comment, code in re.findall(rf"({COMMENT})?\n?((?:(?!/\*).*\n?)*)", block):
            if comment or code:
                yield comment or None, code.strip()


def main():
    path = pathlib.Path(sys.argv[1])
    _, about, rest = re.split(rf"({COMMENT})\n(?=#ifndef)", path.read_text(encoding="utf-8"),
                              maxsplit=1)
    functions = re.findall(r"^CW_API (?:[^;(]*?)(\w+)\(", rest, re.M)
    summary, _, more = inside(about).partition(".")
    names = ", ".join([f"cw_{path.stem}", *functions])
    summary = plain(summary[0].lower() + summary[1:])
    print(f"# cw_{path.stem} 3\n\n## NAME\n\n{plain(names)} - {summary}\n")
    print(f"## SYNOPSIS\n\n**#include \\<capweir/{path.name}\\>**\n")
    if more.strip():
        print("## DESCRIPTION\n\n" + paragraphs(more.strip("\n")) + "\n")
    last = None
    for comment, code in declarations(rest):
        lines = describe(comment, code)
        if not lines:
            continue
        if not last and not lines[0].startswith("## "):
            print("## DECLARATIONS\n")
        first = 1 if lines[0] == last == CONSTANTS else 0
        print("\n".join(lines[first:]))
        last = lines[0]
    print("## SEE ALSO\n\n**libcapweir**(3)")


if __name__ == "__main__":
    main()
