def f(x):
    y = x
    z = y
    return y + z

def g(n):
    for i in range(n):
        yield f(i)

t = 0
for v in g(5):
    t += v
while t > 3: t -= 1
try:
    [a for a in (1, 2, 3) if a > 1]
    {}["x"]
except KeyError:
    print(t)
