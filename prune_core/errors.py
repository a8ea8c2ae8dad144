"""The one exception that is meant for a person."""


class UserError(ValueError):
    """A mistake of the caller, told in one sentence that names the key or file at fault and the fix.

    Front ends print the message alone, without a traceback, and exit with code 2.
    """
