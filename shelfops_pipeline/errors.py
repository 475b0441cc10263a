"""The one exception family a user sees as a single line, without a traceback."""


class ShelfOpsError(Exception):
    """Something is wrong with what the user gave us. The message says what, where, and what to do about it."""


class UnreachableError(ShelfOpsError):
    """A service that is needed does not answer."""


class DataError(ShelfOpsError):
    """A file, column or row cannot be used."""


class NotEnoughHistoryError(ShelfOpsError):
    """The data is too short for what was asked of it."""


class BundleError(ShelfOpsError):
    """A model bundle is missing, incomplete or corrupt."""


class OtherReleaseError(BundleError):
    """A model bundle was written by a release of ShelfOps whose format this one does not read."""


class PromotionError(ShelfOpsError):
    """A version cannot be promoted."""
