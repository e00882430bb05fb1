from ...ir.reads import *  # noqa  temporary
