"""Arithmetic from untrusted text: numbers, + - * / and brackets, exactly, and nothing else.

Countdown checkers in the wild hand the text to `eval` or to SymPy's parser (which calls `eval`): the
first runs any Python a model writes, and both hang on `9**9**9`.
"""

from __future__ import annotations

import ast
import re
from fractions import Fraction

LONGEST = 200
"""Characters of an expression. Twenty numbers with every bracket one could want fit in half of it."""

ALLOWED = re.compile(r"[0-9+\-*/() ]+")
TYPOGRAPHIC = str.maketrans("×·÷−–", "**/--")


def evaluate(text: str) -> tuple[Fraction, list[int]]:
    """The value of an expression and the whole numbers in it, in order.

    Raises ValueError where the text is anything but such an expression, ZeroDivisionError where it
    divides by zero.
    """
    text = text.translate(TYPOGRAPHIC).strip()
    if len(text) > LONGEST:
        raise ValueError(f"longer than {LONGEST} characters")
    if not ALLOWED.fullmatch(text):
        raise ValueError("only whole numbers, + - * / and brackets are allowed")
    try:
        tree = ast.parse(text, mode="eval").body
    except (SyntaxError, MemoryError, RecursionError) as error:
        raise ValueError("not an arithmetic expression") from error
    used: list[int] = []
    return _value(tree, used), used


def _value(node: ast.expr, used: list[int]) -> Fraction:
    match node:
        case ast.Constant(value=int(number)):
            used.append(number)
            return Fraction(number)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand, used)
        case ast.BinOp(left=left, op=op, right=right):
            a, b = _value(left, used), _value(right, used)
            match op:
                case ast.Add():
                    return a + b
                case ast.Sub():
                    return a - b
                case ast.Mult():
                    return a * b
                case ast.Div():
                    return a / b
    raise ValueError("only + - * / are allowed between numbers")
