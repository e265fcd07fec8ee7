"""`python -m jaxcolor.amortize.train` as `kills.py` kills it: with a few scenes and pairs."""

from jaxcolor import stop

if __name__ == "__main__":  # as the module itself begins
    stop.listen("training")

from jaxcolor.amortize import store, train

if __name__ == "__main__":
    store.PART, train.VALIDATION, train.INNER = 4, 4, 5
    train.main()
