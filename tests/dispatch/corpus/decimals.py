"""Long arithmetic in Python: one module, many events."""
import _pydecimal as d

d.getcontext().prec = 40
x = d.Decimal(2)
for i in range(1, 60):
    x = (x + d.Decimal(2) / x) / 2
    x.sqrt()
print(x, d.Decimal("1.5").exp(), d.Decimal(10).ln(), x.quantize(d.Decimal("1e-10")), f"{x:.5f}")
for text in ("1e5", "NaN", "-Infinity", "0.00012"):
    y = d.Decimal(text)
    str(y), repr(y), hash(y) if not y.is_nan() else 0, y.normalize(), y.as_tuple()
try:
    d.Decimal(1) / 0
except d.DivisionByZero:
    pass
with d.localcontext() as c:
    c.prec = 5
    d.Decimal(1) / 3
